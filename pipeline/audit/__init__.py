"""The last look at a night before anyone sees it: measured with SQL, judged by gates, recorded."""
