"""What every method must do, whatever it computes: a check per promise, a file per family.

A check looks at one method on small synthetic bags and says in a sentence what it found. The suite
is ``mil-bench check method NAME``, and the tests run it over every method of the package.
"""
