-- Eight customers have invoices in two countries: the latest one of before the night decides.
WITH invoices AS (
    SELECT
        CAST(CAST(CAST("CustomerID" AS DECIMAL(18, 1)) AS BIGINT) AS VARCHAR) AS customer_id,
        CASE WHEN "Country" <> 'Unspecified' THEN "Country" END AS country,
        CAST("InvoiceDate" AS TIMESTAMP) AT TIME ZONE 'Europe/London' AS invoiced_at,
        "InvoiceNo"
    FROM online_retail
    WHERE "CustomerID" IS NOT NULL AND CAST("InvoiceDate" AS TIMESTAMP) AT TIME ZONE 'Europe/London' < $day_end
),

ranked_invoices AS (
    SELECT
        customer_id,
        country,
        MIN(invoiced_at) OVER (PARTITION BY customer_id) AS created_at,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id ORDER BY invoiced_at DESC, "InvoiceNo" COLLATE "C" DESC, country COLLATE "C"
        ) AS place
    FROM invoices
)

SELECT customer_id, created_at, country
FROM ranked_invoices
WHERE place = 1
