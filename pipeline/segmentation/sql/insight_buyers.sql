-- At most 50,000 of the customers who ordered in the window, chosen by a hash of their id, each with a number in order of id from 0 on and
-- their twentieth by order lines, 0 to 19. Equal customers are in one twentieth: it goes by how many have strictly fewer lines.
WITH buyers AS (
  SELECT customer_id, line_count, discount_known_line_count, discounted_line_count, spend_amount, r_score, f_score, m_score
  FROM customer_features
  WHERE order_day_count > 0
  ORDER BY MD5('segment_insights:' || customer_id), customer_id
  LIMIT 50000
),
placed AS (
  SELECT
    *,
    RANK() OVER (ORDER BY line_count) - 1 AS fewer_count,
    COUNT(*) OVER () AS buyer_count,
    ROW_NUMBER() OVER (ORDER BY customer_id) - 1 AS place
  FROM buyers
)
SELECT
  customer_id,
  CAST(place AS BIGINT) AS place,
  CAST(FLOOR(CAST(20 * fewer_count AS DOUBLE) / buyer_count) AS BIGINT) AS stratum,
  discount_known_line_count,
  discounted_line_count,
  spend_amount,
  r_score,
  f_score,
  m_score
FROM placed
