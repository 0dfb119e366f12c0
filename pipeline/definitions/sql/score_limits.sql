-- What a figure must be to score so much, by the rank of each of `buyers` among all of them: one row.
-- A rank is counted over the distinct values, so equal customers score the same.
WITH recencies AS (
  SELECT last_order_date, COUNT(*) AS buyer_count
  FROM buyers
  WHERE order_day_count > 0
  GROUP BY last_order_date
),
recency_scores AS (
  -- Those who ordered on one day share the highest score of them all: nobody is called late whom nobody overtook.
  SELECT
    last_order_date,
    buyer_count,
    CEIL(
      CAST(5 * SUM(buyer_count) OVER (ORDER BY last_order_date ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS DOUBLE)
        / SUM(buyer_count) OVER ()
    ) AS score
  FROM recencies
),
recency_limits AS (
  -- The most recent of those who score less: whoever ordered later scores at least so much.
  SELECT
    CAST(COALESCE(SUM(buyer_count), 0) AS BIGINT) AS buyer_count,
    MAX(CASE WHEN score < 2 THEN last_order_date END) AS r_2_after_date,
    MAX(CASE WHEN score < 3 THEN last_order_date END) AS r_3_after_date,
    MAX(CASE WHEN score < 4 THEN last_order_date END) AS r_4_after_date,
    MAX(CASE WHEN score < 5 THEN last_order_date END) AS r_5_after_date
  FROM recency_scores
),
frequencies AS (
  SELECT order_day_count, COUNT(*) AS buyer_count
  FROM buyers
  WHERE order_day_count > 0
  GROUP BY order_day_count
),
frequency_scores AS (
  SELECT
    order_day_count,
    1 + FLOOR(
      CAST(5 * COALESCE(SUM(buyer_count) OVER (ORDER BY order_day_count ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS DOUBLE)
        / SUM(buyer_count) OVER ()
    ) AS score
  FROM frequencies
),
frequency_limits AS (
  -- The least of those who score at least so much.
  SELECT
    MIN(CASE WHEN score >= 2 THEN order_day_count END) AS f_2_limit_count,
    MIN(CASE WHEN score >= 3 THEN order_day_count END) AS f_3_limit_count,
    MIN(CASE WHEN score >= 4 THEN order_day_count END) AS f_4_limit_count,
    MIN(CASE WHEN score >= 5 THEN order_day_count END) AS f_5_limit_count
  FROM frequency_scores
),
amounts AS (
  -- Who bought nothing in the window may still have money back in it, or a refund alone: those are no buyers, and hold nothing.
  SELECT
    spend_amount,
    SUM(CASE WHEN order_day_count > 0 THEN 1 ELSE 0 END) AS buyer_count,
    CAST(SUM(CASE WHEN spend_amount > 0 THEN spend_amount ELSE 0 END) AS DECIMAL(38, 4)) AS held
  FROM buyers
  GROUP BY spend_amount
),
amount_ranks AS (
  SELECT
    spend_amount,
    buyer_count,
    1 + FLOOR(
      CAST(5 * COALESCE(SUM(buyer_count) OVER (ORDER BY spend_amount ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS DOUBLE)
        / NULLIF(SUM(buyer_count) OVER (), 0)
    ) AS score,
    CAST(COALESCE(SUM(held) OVER (ORDER BY spend_amount DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS DOUBLE)
      / NULLIF(CAST(SUM(held) OVER () AS DOUBLE), 0) AS richer_share
  FROM amounts
),
amount_limits AS (
  SELECT
    MIN(CASE WHEN buyer_count > 0 AND score >= 2 THEN spend_amount END) AS m_2_limit_amount,
    MIN(CASE WHEN buyer_count > 0 AND score >= 3 THEN spend_amount END) AS m_3_limit_amount,
    MIN(CASE WHEN buyer_count > 0 AND score >= 4 THEN spend_amount END) AS m_4_limit_amount,
    MIN(CASE WHEN buyer_count > 0 AND score >= 5 THEN spend_amount END) AS m_5_limit_amount,
    MIN(CASE WHEN spend_amount > 0 AND richer_share < CAST(0.95 AS DOUBLE) THEN spend_amount END) AS value_2_limit_amount,
    MIN(CASE WHEN spend_amount > 0 AND richer_share < CAST(0.8 AS DOUBLE) THEN spend_amount END) AS value_3_limit_amount
  FROM amount_ranks
)
SELECT
  r.buyer_count,
  r.r_2_after_date,
  r.r_3_after_date,
  r.r_4_after_date,
  r.r_5_after_date,
  f.f_2_limit_count,
  f.f_3_limit_count,
  f.f_4_limit_count,
  f.f_5_limit_count,
  m.m_2_limit_amount,
  m.m_3_limit_amount,
  m.m_4_limit_amount,
  m.m_5_limit_amount,
  m.value_2_limit_amount,
  m.value_3_limit_amount
FROM recency_limits AS r
CROSS JOIN frequency_limits AS f
CROSS JOIN amount_limits AS m
