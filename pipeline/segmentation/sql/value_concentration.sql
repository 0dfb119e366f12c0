-- What the best 1, 2, ... 100 percent of buyers spent. Equal amounts are one step: who of them comes first changes no sum.
-- Percent p is the best ceil(n * p / 100) of n buyers; a step of places above a to b holds the percents above 100 * a / n up to 100 * b / n.
WITH steps AS (
  SELECT spend_amount, CAST(COUNT(*) AS BIGINT) AS customer_count
  FROM customer_features
  WHERE order_day_count > 0 AND spend_amount > 0
  GROUP BY spend_amount
),
ranked AS (
  SELECT
    spend_amount,
    customer_count,
    CAST(SUM(customer_count) OVER (ORDER BY spend_amount DESC) AS BIGINT) AS last_place,
    CAST(SUM(spend_amount * customer_count) OVER (ORDER BY spend_amount DESC) AS DECIMAL(18, 4)) AS spent
  FROM steps
),
everybody AS (
  SELECT MAX(last_place) AS customer_count, MAX(spent) AS spent FROM ranked
),
bounds AS (
  SELECT
    r.*,
    CAST(FLOOR(CAST(100 * (r.last_place - r.customer_count) AS DOUBLE) / e.customer_count) AS BIGINT) + 1 AS first_percent,
    CAST(FLOOR(CAST(100 * r.last_place AS DOUBLE) / e.customer_count) AS BIGINT) AS last_percent,
    e.customer_count AS buyer_count,
    e.spent AS all_spent
  FROM ranked AS r
  CROSS JOIN everybody AS e
),
digits AS (
  SELECT 0 AS digit UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
  UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9
),
percents AS (
  SELECT CAST(10 * tens.digit + ones.digit + 1 AS BIGINT) AS customer_percent FROM digits AS tens CROSS JOIN digits AS ones
),
placed AS (
  SELECT
    p.customer_percent,
    CAST(CEIL(CAST(b.buyer_count * p.customer_percent AS DOUBLE) / 100) AS BIGINT) AS customer_count,
    b.last_place,
    b.spent,
    b.spend_amount AS step_amount,
    b.all_spent
  FROM bounds AS b
  JOIN percents AS p ON p.customer_percent >= b.first_percent AND p.customer_percent <= b.last_percent
  WHERE b.first_percent <= b.last_percent
),
sums AS (
  SELECT
    customer_percent,
    customer_count,
    CAST(spent - (last_place - customer_count) * step_amount AS DECIMAL(18, 4)) AS spend_amount,
    all_spent
  FROM placed
)
SELECT customer_percent, customer_count, spend_amount, CAST(spend_amount AS DOUBLE) / CAST(all_spent AS DOUBLE) AS spend_share
FROM sums
ORDER BY customer_percent
