-- What each of these buyers bought in the window, through which channel, and whether anything at a discount; once each.
-- Products are those of at least 50 buyers, the 1,000 most bought of them.
WITH lines AS (
  SELECT COALESCE(s.survivor_id, l.customer_id) AS customer_id, l.product_id
  FROM order_lines AS l
  LEFT JOIN customer_survivors AS s ON s.customer_id = l.customer_id
  WHERE l.line_kind = 'order' AND l.order_day > $before AND l.order_day <= $day AND l.product_id <> ''
),
product_buyers AS (
  SELECT DISTINCT l.customer_id, l.product_id FROM lines AS l JOIN insight_buyers AS b ON b.customer_id = l.customer_id
),
product_counts AS (
  SELECT product_id, COUNT(*) AS buyer_count FROM product_buyers GROUP BY product_id HAVING COUNT(*) >= 50
),
products AS (
  SELECT product_id FROM product_counts ORDER BY buyer_count DESC, product_id LIMIT 1000
),
days AS (
  SELECT COALESCE(s.survivor_id, d.customer_id) AS customer_id, d.category, d.channel
  FROM customer_day_categories AS d
  LEFT JOIN customer_survivors AS s ON s.customer_id = d.customer_id
  WHERE d.order_day > $before AND d.order_day <= $day
)
SELECT 'category' AS subject_kind, d.category AS subject, d.customer_id
FROM days AS d JOIN insight_buyers AS b ON b.customer_id = d.customer_id
WHERE d.category <> ''
UNION
SELECT 'channel' AS subject_kind, d.channel AS subject, d.customer_id
FROM days AS d JOIN insight_buyers AS b ON b.customer_id = d.customer_id
WHERE d.channel <> ''
UNION
SELECT 'discount' AS subject_kind, CASE WHEN discounted_line_count > 0 THEN 'at a discount' ELSE '' END AS subject, customer_id
FROM insight_buyers
WHERE discount_known_line_count > 0
UNION ALL
SELECT 'product' AS subject_kind, p.product_id AS subject, b.customer_id
FROM product_buyers AS b JOIN products AS p ON p.product_id = b.product_id
