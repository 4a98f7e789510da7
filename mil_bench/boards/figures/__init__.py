"""Pictures of boards, one file per figure, drawn from reports; ``write`` puts them into folders.

Every ``draw`` returns ``None`` for a board that has no such thing to show.
"""
