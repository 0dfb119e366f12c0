-- Who gave which answer, by segment. Of each respondent and question the newest answers count: several, where they were given at one instant.
-- An answer of fewer than 10 respondents stands among the others, under no name: a free text may say who wrote it.
WITH responses AS (
  SELECT
    COALESCE(s.survivor_id, r.respondent_id) AS respondent_id,
    r.question,
    r.answer,
    CAST(r.weight AS DECIMAL(18, 6)) AS weight,
    RANK() OVER (PARTITION BY COALESCE(s.survivor_id, r.respondent_id), r.question ORDER BY r.answered_at DESC) AS age_rank
  FROM survey_responses AS r
  LEFT JOIN customer_survivors AS s ON s.customer_id = r.respondent_id
  WHERE r.question <> '' AND r.answer <> '' AND r.weight > 0
),
newest AS (
  SELECT respondent_id, question, answer, MAX(weight) AS weight FROM responses WHERE age_rank = 1 GROUP BY respondent_id, question, answer
),
frequent AS (
  SELECT question, answer FROM newest GROUP BY question, answer HAVING COUNT(*) >= 10
),
said AS (
  SELECT n.respondent_id, n.question, f.answer, MAX(n.weight) AS weight
  FROM newest AS n
  LEFT JOIN frequent AS f ON f.question = n.question AND f.answer = n.answer
  GROUP BY n.respondent_id, n.question, f.answer
),
respondents AS (
  SELECT respondent_id, question, MAX(weight) AS weight FROM newest GROUP BY respondent_id, question
),
places AS (
  SELECT DISTINCT respondent_id, 'all' AS scheme, 'all' AS segment FROM respondents
  UNION ALL
  SELECT customer_id AS respondent_id, scheme, segment FROM customer_segments
),
asked AS (
  SELECT
    r.question,
    p.scheme,
    p.segment,
    CAST(COUNT(*) AS BIGINT) AS respondent_count,
    SUM(r.weight) AS weight_sum,
    SUM(r.weight * r.weight) AS square_sum
  FROM respondents AS r
  JOIN places AS p ON p.respondent_id = r.respondent_id
  GROUP BY r.question, p.scheme, p.segment
),
answered AS (
  SELECT s.question, s.answer, p.scheme, p.segment, CAST(COUNT(*) AS BIGINT) AS answer_count, SUM(s.weight) AS weight_sum
  FROM said AS s
  JOIN places AS p ON p.respondent_id = s.respondent_id
  GROUP BY s.question, s.answer, p.scheme, p.segment
)
SELECT
  t.question,
  t.answer,
  t.scheme,
  t.segment,
  t.answer_count,
  a.respondent_count,
  CAST(t.weight_sum AS DOUBLE) AS answer_weight,
  CAST(a.weight_sum AS DOUBLE) AS weight_sum,
  CAST(a.square_sum AS DOUBLE) AS square_sum
FROM answered AS t
JOIN asked AS a ON a.question = t.question AND a.scheme = t.scheme AND a.segment = t.segment
ORDER BY t.question, t.answer NULLS FIRST, t.scheme, t.segment
