-- The rollups of merged customers as those of the survivors: what several ids bought on a day is what one customer bought.
SELECT
  d.event_day,
  d.known_on,
  s.survivor_id AS customer_id,
  d.order_day,
  CAST(SUM(d.order_count) AS BIGINT) AS order_count,
  CAST(SUM(d.line_count) AS BIGINT) AS line_count,
  CAST(SUM(d.discount_known_line_count) AS BIGINT) AS discount_known_line_count,
  CAST(SUM(d.discounted_line_count) AS BIGINT) AS discounted_line_count,
  CAST(SUM(d.add_on_line_count) AS BIGINT) AS add_on_line_count,
  CAST(SUM(d.order_amount) AS DECIMAL(18, 4)) AS order_amount,
  CAST(SUM(d.discount_known_amount) AS DECIMAL(18, 4)) AS discount_known_amount,
  CAST(SUM(d.full_price_amount) AS DECIMAL(18, 4)) AS full_price_amount,
  CAST(SUM(d.discount_amount) AS DECIMAL(18, 4)) AS discount_amount,
  CAST(SUM(d.refund_amount) AS DECIMAL(18, 4)) AS refund_amount
FROM customer_days_by_source_id AS d
JOIN customer_survivors AS s ON s.customer_id = d.customer_id
GROUP BY d.event_day, d.known_on, s.survivor_id, d.order_day
