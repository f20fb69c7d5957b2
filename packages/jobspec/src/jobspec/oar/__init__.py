"""OAR: batch scripts with `#OAR` directives, as oarsub 2.6.1 reads them and as it takes them."""
