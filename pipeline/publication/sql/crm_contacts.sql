-- One row of contacts per person: who was merged has none of their own, and lends theirs to a survivor who has none.
WITH named AS (
  SELECT
    COALESCE(v.survivor_id, TRIM(c.customer_id)) AS customer_id,
    CASE WHEN v.survivor_id <> v.customer_id THEN 1 ELSE 0 END AS is_lent,
    c.name,
    c.email,
    c.phone,
    c.language
  FROM raw_customer_contacts AS c
  LEFT JOIN customer_survivors AS v ON v.customer_id = TRIM(c.customer_id)
  WHERE TRIM(c.customer_id) <> ''
),
placed AS (
  SELECT
    n.*,
    ROW_NUMBER() OVER (PARTITION BY n.customer_id ORDER BY n.is_lent, n.email, n.phone, n.name, n.language) AS place
  FROM named AS n
)
SELECT customer_id, name, email, phone, language
FROM placed
WHERE place = 1
