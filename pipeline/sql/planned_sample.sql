-- The first customers by id who would move, for each scheme.
SELECT scheme, customer_id, from_segment, to_segment, evidence
FROM (
  SELECT
    a.scheme,
    a.customer_id,
    b.segment AS from_segment,
    a.segment AS to_segment,
    a.evidence,
    ROW_NUMBER() OVER (PARTITION BY a.scheme ORDER BY a.customer_id) AS place
  FROM planned_segments AS a
  JOIN live_segments AS b ON b.customer_id = a.customer_id AND b.scheme = a.scheme AND b.segment <> a.segment
) AS moved
WHERE place <= $limit
ORDER BY scheme, customer_id
