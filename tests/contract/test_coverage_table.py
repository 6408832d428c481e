"""docs/atlassian.md is what the clients, the sandbox and the plans do, seen and not told."""

import os

import pytest

from tests.support.coverage_table import PAGE, text
from tests.support.openapi import DOCUMENTS, Documents
from tests.support.recording import organization

if not DOCUMENTS.is_dir() and os.environ.get("CI") == "true":
    pytest.fail(f"Atlassian's documents are not at {DOCUMENTS}; set GATEHOUSE_SHARED", pytrace=False)
pytestmark = pytest.mark.skipif(not DOCUMENTS.is_dir(), reason=f"Atlassian's OpenAPI documents are not at {DOCUMENTS}")


def test_the_page_of_endpoints_is_up_to_date() -> None:
    with organization() as there:
        wanted = text(there, Documents())
    assert PAGE.read_text(encoding="utf-8") == wanted, "run python -m tests.support.coverage_table"
