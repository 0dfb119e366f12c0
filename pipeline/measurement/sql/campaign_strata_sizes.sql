-- How many customers are in each stratum.
SELECT stratum, CAST(COUNT(*) AS BIGINT) AS customer_count
FROM campaign_strata
GROUP BY stratum
ORDER BY stratum
