-- What each customer's buying before $archived_before adds up to, for the lifetime figures of later nights.
-- The older archive in customer_archives holds the event days before $archived_from.
-- Lists are sorted, as engines gather them in any order: the same rows give the same bytes.
WITH new_totals AS (
  SELECT
    customer_id,
    MIN(CASE WHEN line_count > 0 THEN order_day END) AS first_order_date,
    MAX(CASE WHEN line_count > 0 THEN order_day END) AS last_order_date,
    CAST(COUNT(CASE WHEN line_count > 0 THEN 1 END) AS BIGINT) AS order_day_count,
    CAST(SUM(order_count) AS BIGINT) AS order_count,
    CAST(SUM(order_amount) - SUM(refund_amount) AS DECIMAL(18, 4)) AS spend_amount
  FROM customer_days
  WHERE event_day >= $archived_from AND event_day < $archived_before
  GROUP BY customer_id
),
order_days AS (
  SELECT customer_id, order_day FROM customer_days WHERE event_day >= $archived_from AND event_day < $archived_before AND line_count > 0
  UNION ALL
  SELECT customer_id, last_order_date FROM customer_archives WHERE last_order_date IS NOT NULL
),
waits AS (
  SELECT
    customer_id,
    order_day,
    DATEDIFF('day', LAG(order_day) OVER (PARTITION BY customer_id ORDER BY order_day), order_day) AS gap_days
  FROM order_days
),
all_gaps AS (
  SELECT customer_id, order_day, CAST(gap_days AS BIGINT) AS gap_days FROM waits WHERE gap_days IS NOT NULL
  UNION ALL
  SELECT customer_id, NULL AS order_day, UNNEST(gaps) AS gap_days FROM customer_archives
),
gaps AS (
  SELECT customer_id, LIST_SORT(ARRAY_AGG(gap_days)) AS gaps, ARG_MAX(gap_days, order_day) AS last_gap_days
  FROM all_gaps
  GROUP BY customer_id
),
all_categories AS (
  SELECT customer_id, category FROM customer_day_categories
  WHERE event_day >= $archived_from AND event_day < $archived_before AND category IS NOT NULL
  UNION
  SELECT customer_id, UNNEST(categories) AS category FROM customer_archives
),
categories AS (
  SELECT customer_id, LIST_SORT(ARRAY_AGG(category)) AS categories
  FROM all_categories
  GROUP BY customer_id
)
SELECT
  COALESCE(n.customer_id, a.customer_id) AS customer_id,
  COALESCE(a.first_order_date, n.first_order_date) AS first_order_date,
  COALESCE(n.last_order_date, a.last_order_date) AS last_order_date,
  COALESCE(n.order_day_count, 0) + COALESCE(a.order_day_count, 0) AS order_day_count,
  COALESCE(n.order_count, 0) + COALESCE(a.order_count, 0) AS order_count,
  CAST(COALESCE(n.spend_amount, 0) + COALESCE(a.spend_amount, 0) AS DECIMAL(18, 4)) AS spend_amount,
  COALESCE(g.last_gap_days, a.last_gap_days) AS last_gap_days,
  g.gaps,
  c.categories
FROM new_totals AS n
FULL JOIN customer_archives AS a ON a.customer_id = n.customer_id
LEFT JOIN gaps AS g ON g.customer_id = COALESCE(n.customer_id, a.customer_id)
LEFT JOIN categories AS c ON c.customer_id = COALESCE(n.customer_id, a.customer_id)
ORDER BY customer_id
