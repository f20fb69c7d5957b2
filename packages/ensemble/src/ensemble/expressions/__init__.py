"""The expressions of `when`, `set` and `message`: read without eval, printed, bounded and compiled to functions."""
