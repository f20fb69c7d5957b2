"""Made from ensemble.proto by `nox -s proto -- --write`, which also checks that they agree."""
