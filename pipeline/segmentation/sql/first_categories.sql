-- The first day on which each of these buyers bought each category, since $before, as one of three: 0 up to $learned_from, 1 up to $learned_to,
-- 2 after it. Categories are the 200 most bought ones.
WITH days AS (
  SELECT COALESCE(s.survivor_id, d.customer_id) AS customer_id, d.category, d.order_day
  FROM customer_day_categories AS d
  LEFT JOIN customer_survivors AS s ON s.customer_id = d.customer_id
  WHERE d.order_day > $before AND d.order_day <= $day AND d.category <> ''
),
firsts AS (
  SELECT b.place, d.category, MIN(d.order_day) AS first_day
  FROM days AS d
  JOIN insight_buyers AS b ON b.customer_id = d.customer_id
  GROUP BY b.place, d.category
),
categories AS (
  SELECT category, ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, category) AS category_rank FROM firsts GROUP BY category
)
SELECT
  f.place,
  f.category,
  CAST(CASE WHEN f.first_day <= $learned_from THEN 0 WHEN f.first_day <= $learned_to THEN 1 ELSE 2 END AS BIGINT) AS period
FROM firsts AS f
JOIN categories AS c ON c.category = f.category
WHERE c.category_rank <= 200
ORDER BY f.place, f.category
