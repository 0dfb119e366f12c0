-- The people of a campaign once customers were merged: one row for who is left, and none where the ids were in several arms.
SELECT
  COALESCE(s.survivor_id, p.customer_id) AS customer_id,
  MIN(p.arm) AS arm,
  MIN(p.segment) AS segment,
  CAST(SUM(p.spend_amount) AS DECIMAL(18, 4)) AS spend_amount
FROM people_by_source_id AS p
LEFT JOIN customer_survivors AS s ON s.customer_id = p.customer_id
GROUP BY COALESCE(s.survivor_id, p.customer_id)
HAVING MIN(p.arm) = MAX(p.arm)
