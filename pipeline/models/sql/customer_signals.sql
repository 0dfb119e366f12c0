-- What tells of the next 90 days, from a customer's features alone: who bought at least once. Paces are per year of what is
-- known of the customer, with a month added, so that a first order of yesterday is no pace of hundreds a year.
WITH known AS (
  SELECT
    *,
    CAST(tenure_days AS DOUBLE) + 31 AS known_days,
    CAST(LEAST(tenure_days, $window_days - 1) AS DOUBLE) + 31 AS window_known_days,
    CAST(lifetime_order_day_count AS DOUBLE) AS order_days,
    GREATEST(CAST(spend_amount AS DOUBLE), 0) AS spend,
    GREATEST(CAST(lifetime_spend_amount AS DOUBLE), 0) AS lifetime_spend
  FROM customer_features
  WHERE lifetime_order_day_count >= 1
)
SELECT
  customer_id,
  LN(1 + 365 * spend / window_known_days) AS spend_pace,
  LN(1 + 365 * order_day_count / window_known_days) AS order_pace,
  LN(1 + 365 * category_count / window_known_days) AS category_pace,
  LN(1 + 365 * lifetime_spend / known_days) AS lifetime_spend_pace,
  LN(1 + 365 * order_days / known_days) AS lifetime_order_pace,
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
