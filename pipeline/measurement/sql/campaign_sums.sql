-- Exact sums over the customers of each arm and segment: y is the spend in the campaign, x that before it, o the orders.
-- One factor of each product is a digit wider than the other: of two alike DuckDB keeps the width, which overflows beyond 30,000, and
-- of two wider ones Spark would round.
SELECT
  p.arm,
  p.segment,
  CAST(COUNT(*) AS BIGINT) AS customer_count,
  CAST(COUNT(CASE WHEN o.order_count > 0 THEN 1 END) AS BIGINT) AS ordered_count,
  CAST(COUNT(CASE WHEN o.has_visited THEN 1 END) AS BIGINT) AS visited_count,
  CAST(COALESCE(SUM(o.order_count), 0) AS BIGINT) AS o,
  CAST(COALESCE(SUM(o.order_count * o.order_count), 0) AS BIGINT) AS oo,
  CAST(COALESCE(SUM(o.spend_amount), 0) AS DECIMAL(38, 4)) AS y,
  CAST(COALESCE(SUM(CAST(o.spend_amount AS DECIMAL(19, 4)) * o.spend_amount), 0) AS DECIMAL(38, 8)) AS yy,
  CAST(COALESCE(SUM(p.spend_amount), 0) AS DECIMAL(38, 4)) AS x,
  CAST(COALESCE(SUM(CAST(p.spend_amount AS DECIMAL(19, 4)) * p.spend_amount), 0) AS DECIMAL(38, 8)) AS xx,
  CAST(COALESCE(SUM(CAST(p.spend_amount AS DECIMAL(19, 4)) * o.spend_amount), 0) AS DECIMAL(38, 8)) AS xy,
  CAST(COALESCE(SUM(CAST(o.spend_amount AS DECIMAL(19, 4)) * CAST(o.order_count AS DECIMAL(18, 0))), 0) AS DECIMAL(38, 4)) AS oy
FROM campaign_people AS p
LEFT JOIN unmeasured_customers AS u ON u.customer_id = p.customer_id
LEFT JOIN campaign_outcomes AS o ON o.customer_id = p.customer_id
WHERE u.customer_id IS NULL
GROUP BY p.arm, p.segment
ORDER BY p.arm, p.segment
