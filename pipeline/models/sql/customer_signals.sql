-- What tells of the next 90 days, from what is known of customers at the end of $day: who bought at least once. Paces are per
-- year of what is known of the customer, with a month added, so that a first order of yesterday is no pace of hundreds a year.
-- Of customer_days only the last half year is read: what is new in a customer's buying tells more than the year does.
WITH recent AS (
  -- Rollups keep the ids that the source gave: those of merged customers are the survivor's.
  SELECT
    COALESCE(s.survivor_id, d.customer_id) AS customer_id,
    GREATEST(CAST(SUM(CASE WHEN order_day >= $quarter_first_day THEN order_amount - refund_amount ELSE 0 END) AS DOUBLE), 0) AS quarter_spend,
    GREATEST(CAST(SUM(order_amount - refund_amount) AS DOUBLE), 0) AS half_year_spend,
    CAST(SUM(CASE WHEN order_day >= $quarter_first_day AND line_count > 0 THEN 1 ELSE 0 END) AS DOUBLE) AS quarter_order_days,
    CAST(SUM(CASE WHEN line_count > 0 THEN 1 ELSE 0 END) AS DOUBLE) AS half_year_order_days
  FROM customer_days AS d
  LEFT JOIN customer_survivors AS s ON s.customer_id = d.customer_id
  WHERE event_day <= $day AND order_day >= $half_year_first_day
  GROUP BY COALESCE(s.survivor_id, d.customer_id)
),
company AS (
  -- The days that the window can know of: fewer than it has where the company's first order is younger.
  SELECT CAST(LEAST(MAX(tenure_days) + 1, $window_days) AS DOUBLE) AS known_window_days FROM customer_features
),
known AS (
  SELECT
    f.*,
    c.known_window_days,
    CAST(f.tenure_days AS DOUBLE) + 31 AS known_days,
    CAST(LEAST(f.tenure_days, $window_days - 1) AS DOUBLE) + 31 AS window_known_days,
    CAST(LEAST(f.tenure_days, 90) AS DOUBLE) + 31 AS quarter_known_days,
    CAST(LEAST(f.tenure_days, 180) AS DOUBLE) + 31 AS half_year_known_days,
    CAST(f.lifetime_order_day_count AS DOUBLE) AS order_days,
    GREATEST(CAST(f.spend_amount AS DOUBLE), 0) AS spend,
    GREATEST(CAST(f.lifetime_spend_amount AS DOUBLE), 0) AS lifetime_spend,
    COALESCE(r.quarter_spend, 0) AS quarter_spend,
    COALESCE(r.half_year_spend, 0) AS half_year_spend,
    COALESCE(r.quarter_order_days, 0) AS quarter_order_days,
    COALESCE(r.half_year_order_days, 0) AS half_year_order_days
  FROM customer_features AS f
  CROSS JOIN company AS c
  LEFT JOIN recent AS r ON r.customer_id = f.customer_id
  WHERE f.lifetime_order_day_count >= 1
)
SELECT
  customer_id,
  90 * spend / known_window_days AS last_years_spend,
  LN(1 + 365 * spend / window_known_days) AS spend_pace,
  LN(1 + 365 * order_day_count / window_known_days) AS order_pace,
  LN(1 + 365 * COALESCE(category_count, 0) / window_known_days) AS category_pace,
  LN(1 + 365 * lifetime_spend / known_days) AS lifetime_spend_pace,
  LN(1 + 365 * order_days / known_days) AS lifetime_order_pace,
  LN(1 + 365 * quarter_spend / quarter_known_days) AS quarter_spend_pace,
  LN(1 + 365 * half_year_spend / half_year_known_days) AS half_year_spend_pace,
  LN(1 + quarter_order_days) AS quarter_order_total,
  LN(1 + half_year_order_days) AS half_year_order_total,
  LN(1 + CAST(recency_days AS DOUBLE)) AS recency,
  LN(1 + CAST(recency_days AS DOUBLE)) - LN(1 + COALESCE(rhythm_days, 0)) AS lateness,
  LN(1 + COALESCE(rhythm_days, 0)) AS rhythm,
  LN(1 + GREATEST(COALESCE(average_order_amount, 0), 0)) AS order_value,
  LN(1 + lifetime_spend / order_days) AS order_day_value,
  LN(1 + order_days) AS order_day_total,
  CASE WHEN lifetime_order_day_count = 1 THEN CAST(1 AS DOUBLE) ELSE CAST(0 AS DOUBLE) END AS is_once,
  COALESCE(discount_share, 0) AS discounts,
  COALESCE(return_share, 0) AS returns,
  COALESCE(weekend_share, 0) AS weekends
FROM known
