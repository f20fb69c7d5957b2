"""Every command and snippet of the documents is run: what a page shows is what is seen.

`page` finds the blocks of a page and the comments that steer them, `sandbox` is the folder that they run in, `run` runs
them and compares, `words` looks at the commands in sentences and tables. `python integration/documents PAGE...` runs
pages by hand; with `--write` what they show becomes what was seen. The rules for authors are in CONTRIBUTING.md.

The blocks are found with markdown-it-py, which rich brings along. Sybil collects only what lies below the paths that
pytest is given, knows no indented blocks or code in sentences, and has no place for what one block leaves to the next.
"""
