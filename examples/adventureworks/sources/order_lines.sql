-- What people ordered on the internet and resellers through the sales force; one numbering of orders serves both.
WITH night AS (
    SELECT
        CAST($day_start AS TIMESTAMP WITH TIME ZONE) AT TIME ZONE 'America/Los_Angeles' AS local_start,
        CAST($day_end AS TIMESTAMP WITH TIME ZONE) AT TIME ZONE 'America/Los_Angeles' AS local_end
),

sales AS (
    SELECT
        sale."SalesOrderNumber",
        sale."SalesOrderLineNumber",
        'P-' || person."CustomerAlternateKey" AS customer_id,
        'internet' AS channel,
        sale."OrderDate",
        sale."ProductKey",
        sale."OrderQuantity",
        sale."SalesAmount",
        sale."DiscountAmount"
    FROM "FactInternetSales" AS sale
    LEFT JOIN "DimCustomer" AS person ON person."CustomerKey" = sale."CustomerKey"
    WHERE sale."OrderDate" >= (SELECT local_start FROM night) AND sale."OrderDate" < (SELECT local_end FROM night)

    UNION ALL

    SELECT
        sale."SalesOrderNumber",
        sale."SalesOrderLineNumber",
        'R-' || reseller."ResellerAlternateKey",
        'reseller',
        sale."OrderDate",
        sale."ProductKey",
        sale."OrderQuantity",
        sale."SalesAmount",
        sale."DiscountAmount"
    FROM "FactResellerSales" AS sale
    LEFT JOIN "DimReseller" AS reseller ON reseller."ResellerKey" = sale."ResellerKey"
    WHERE sale."OrderDate" >= (SELECT local_start FROM night) AND sale."OrderDate" < (SELECT local_end FROM night)
)

SELECT
    sales."SalesOrderNumber" AS order_id,
    CAST(sales."SalesOrderLineNumber" AS BIGINT) AS line_number,
    sales.customer_id,
    sales."OrderDate" AT TIME ZONE 'America/Los_Angeles' AS ordered_at,
    CAST(sales."OrderQuantity" AS DECIMAL(18, 4)) AS quantity,
    CAST(sales."SalesAmount" AS DECIMAL(18, 4)) AS net_amount,
    CAST(sales."DiscountAmount" AS DECIMAL(18, 4)) AS discount_amount,
    product."ProductAlternateKey" AS product_id,
    subcategory."EnglishProductSubcategoryName" AS category,
    sales.channel
FROM sales
LEFT JOIN "DimProduct" AS product ON product."ProductKey" = sales."ProductKey"
LEFT JOIN "DimProductSubcategory" AS subcategory ON subcategory."ProductSubcategoryKey" = product."ProductSubcategoryKey"
