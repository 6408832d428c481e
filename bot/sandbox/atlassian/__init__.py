"""The Atlassian sandbox: an organization with its SCIM directories, answering as Atlassian documents."""
