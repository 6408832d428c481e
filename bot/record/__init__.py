"""What proves the record to somebody who does not trust this machine: verifier, checkpoints, exports, evidence."""
