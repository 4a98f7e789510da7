"""From label files of any form to the table of slides: the steps that adapters share."""
