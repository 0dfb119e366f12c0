-- One row per order or refund that a made-up shop ever sees. Every draw is a hash of who, which and $seed.
-- How much a customer buys follows Zipf's law, while they stay; weeks and years have their seasons.
WITH draws AS (
  SELECT
    customer,
    1 / (uniform(customer, 1, $seed) + 0.005) AS appetite,
    30 - 500 * LN(1 - uniform(customer, 2, $seed)) AS stay_days,
    uniform(customer, 3, $seed) AS arrival
  FROM RANGE($customers) AS people(customer)
),
stays AS (
  SELECT
    customer,
    appetite,
    GREATEST(0, FLOOR(arrival * ($days + stay_days / 2) - stay_days / 2)) AS first_day,
    LEAST($days, CEIL(arrival * ($days + stay_days / 2) + stay_days / 2)) AS end_day
  FROM draws
),
season AS (
  SELECT
    d AS day,
    [0.65, 0.65, 0.7, 0.75, 0.85, 1.0, 0.6][1 + DATEDIFF('day', DATE '1970-01-05', $first_day + CAST(d AS INTEGER)) % 7]
      * (0.8 + 0.2 * COS(2 * PI() * (DAYOFYEAR($first_day + CAST(d AS INTEGER)) - 345) / 365)) AS pull
  FROM RANGE($days) AS calendar(d)
),
visits AS (
  SELECT
    customer,
    first_day,
    end_day,
    appetite * (end_day - first_day) / SUM(appetite * (end_day - first_day)) OVER ()
      * $orders / (SELECT AVG(pull) FROM season)
      + uniform(customer, 4, $seed) AS visit_count
  FROM stays
),
numbered AS (
  SELECT customer, first_day, end_day, UNNEST(RANGE(CAST(FLOOR(visit_count) AS BIGINT))) AS visit
  FROM visits
),
drawn AS (
  SELECT
    customer,
    HASH(customer, visit, $seed) AS draw,
    CAST(FLOOR(first_day + (end_day - first_day) * uniform(customer, visit, $seed + 1)) AS SMALLINT) AS day
  FROM numbered
),
orders AS (
  SELECT
    CAST(customer AS INTEGER) AS customer,
    draw,
    drawn.day,
    CAST(1 + LEAST(9, FLOOR(LN(1 - uniform(draw, 1, 0)) / LN(0.65))) AS TINYINT) AS line_count
  FROM drawn
  JOIN season ON season.day = drawn.day AND uniform(draw, 2, 0) < season.pull
)
SELECT customer, draw, day, day AS order_day, line_count, FALSE AS is_refund
FROM orders
UNION ALL
SELECT customer, draw, CAST(day + 1 + draw % 30 AS SMALLINT), day, 1, TRUE
FROM orders
WHERE uniform(draw, 3, 0) < $refund_share AND day + 1 + draw % 30 < $days
