"""The `mil-bench` command line: parse, call one function, print."""
