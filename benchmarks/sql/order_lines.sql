-- The clean order lines of $from_day to $to_day, counted from $first_day, in the order of their files.
WITH numbered AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY day ORDER BY draw, is_refund) AS number
  FROM orders
  WHERE day BETWEEN $from_day AND $to_day
),
lines AS (
  SELECT *, UNNEST(RANGE(1, 1 + line_count)) AS line_number
  FROM numbered
),
baskets AS (
  SELECT
    *,
    HASH(draw, line_number) AS pick,
    CAST(
      CASE WHEN uniform(draw, line_number, 1) < 0.5 THEN customer % 12 ELSE FLOOR(12 * POW(uniform(draw, line_number, 2), 2)) END AS INTEGER
    ) AS aisle
  FROM lines
),
priced AS (
  SELECT
    *,
    aisle * 1000 + CAST(FLOOR(800 * POW(uniform(pick, 1, 0), 3)) AS INTEGER) AS product,
    1 + pick % 3 // 2 AS pieces,
    CASE WHEN uniform(pick, 2, 0) < 0.6 * POW(uniform(customer, 5, 0), 2) THEN 1 + pick % 3 ELSE 0 END AS tenths_off
  FROM baskets
),
amounts AS (
  SELECT *, pieces * CAST(100 + 5000 * POW(uniform(product, 6, 0), 3) AS BIGINT) AS list_cents
  FROM priced
)
SELECT
  $first_day + CAST(day AS INTEGER) AS event_day,
  $first_day + CAST(day AS INTEGER) AS known_on,
  FORMAT('{:05d}-{:08d}', day, number) AS order_id,
  CAST(line_number AS BIGINT) AS line_number,
  FORMAT('C{:08d}', customer) AS customer_id,
  CAST($first_day + CAST(day AS INTEGER) AS TIMESTAMP) AT TIME ZONE 'UTC' + TO_SECONDS(CAST(draw % 86400 AS BIGINT)) AS ordered_at,
  CAST(IF(is_refund, -1, 1) * pieces AS DECIMAL(18, 4)) AS quantity,
  CAST(IF(is_refund, -1, 1) * (list_cents - list_cents * tenths_off // 10) * DECIMAL '0.01' AS DECIMAL(18, 4)) AS net_amount,
  CAST(IF(is_refund, 0, list_cents * tenths_off // 10) * DECIMAL '0.01' AS DECIMAL(18, 4)) AS discount_amount,
  FORMAT('P{:05d}', product) AS product_id,
  ['bakery', 'books', 'clothing', 'drinks', 'garden', 'home', 'music', 'office', 'pets', 'shoes', 'sports', 'toys'][1 + aisle] AS category,
  ['web', 'store', 'app', 'phone'][
    1 + CAST(IF(uniform(draw, 4, 0) < 0.7, customer % 4, FLOOR(4 * uniform(draw, 5, 0))) AS INTEGER)
  ] AS channel,
  CASE WHEN is_refund THEN 'refund' WHEN uniform(draw, 6, 0) < 0.005 THEN 'cancelled' ELSE 'order' END AS line_kind,
  $first_day + CAST(order_day AS INTEGER) AS order_day
FROM amounts
ORDER BY event_day, known_on, order_id, line_number
