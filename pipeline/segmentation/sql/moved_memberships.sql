-- Whose membership differs between two nights; a segment is empty on the side where the customer, or the scheme, is not there.
SELECT
  COALESCE(n.customer_id, b.customer_id) AS customer_id,
  COALESCE(n.scheme, b.scheme) AS scheme,
  b.segment AS from_segment,
  n.segment AS to_segment
FROM memberships_before AS b
FULL JOIN memberships_now AS n ON n.customer_id = b.customer_id AND n.scheme = b.scheme
WHERE b.segment IS DISTINCT FROM n.segment
