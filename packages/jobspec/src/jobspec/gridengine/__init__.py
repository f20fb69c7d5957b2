"""Grid Engine: batch scripts with `#$` directives, as qsub 8.1.9 reads them and as it takes them."""
