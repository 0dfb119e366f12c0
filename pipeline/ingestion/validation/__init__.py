"""What validate is made of: suites, batches, findings, the division of rows, the verdict."""
