"""Numbers reported in papers, a CSV file per dataset; see README.md."""
