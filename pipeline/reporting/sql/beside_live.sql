-- Each planned customer beside where they are live. Every customer is planned, in no segment where the scheme goes or does not apply.
SELECT
  a.customer_id AS customer_id,
  a.scheme AS scheme,
  b.segment AS from_segment,
  a.segment AS to_segment,
  a.segment IS DISTINCT FROM b.segment OR (a.segment IS NOT NULL AND a.evidence IS DISTINCT FROM b.evidence) AS is_written,
  a.spend_amount AS spend_amount
FROM planned_segments AS a
LEFT JOIN live_segments AS b ON b.customer_id = a.customer_id AND b.scheme = a.scheme
