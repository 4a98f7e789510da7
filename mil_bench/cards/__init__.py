"""The page of one method: its docstring, card, options, figure of steps, cost and board rows.

``mil-bench show NAME --page DIR`` writes it for any method; ``docs/methods/`` are those of the
package.
"""
