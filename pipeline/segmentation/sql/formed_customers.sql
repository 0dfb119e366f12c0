-- At most 100,000 customers of an older night who had ordered by then, chosen by a hash of their id, each with their number in order of that hash
-- from 0 on, and what they did from $day to $last: spend less refunds, and whether they ordered. Whoever was merged since is still two.
WITH chosen AS (
  SELECT customer_id, spend_amount, recency_days
  FROM customer_features
  WHERE lifetime_order_day_count > 0
  ORDER BY MD5('scheme_effectiveness:' || customer_id), customer_id
  LIMIT 100000
),
since AS (
  SELECT
    COALESCE(s.survivor_id, d.customer_id) AS customer_id,
    SUM(d.order_amount) - SUM(d.refund_amount) AS spend_amount,
    MAX(CASE WHEN d.order_count > 0 THEN 1 ELSE 0 END) AS is_back
  FROM customer_days AS d
  LEFT JOIN customer_survivors AS s ON s.customer_id = d.customer_id
  WHERE d.order_day > $day AND d.order_day <= $last
  GROUP BY COALESCE(s.survivor_id, d.customer_id)
)
SELECT
  c.customer_id,
  CAST(ROW_NUMBER() OVER (ORDER BY MD5('scheme_effectiveness:' || c.customer_id), c.customer_id) - 1 AS BIGINT) AS place,
  CAST(c.spend_amount AS DECIMAL(18, 4)) AS spend_amount,
  CAST(CASE WHEN c.recency_days < 90 THEN 1 ELSE 0 END AS BIGINT) AS is_recent,
  CAST(COALESCE(n.spend_amount, 0) AS DECIMAL(18, 4)) AS next_spend_amount,
  CAST(COALESCE(n.is_back, 0) AS BIGINT) AS is_back
FROM chosen AS c
LEFT JOIN since AS n ON n.customer_id = c.customer_id
