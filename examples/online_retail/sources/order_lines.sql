-- The source has no product categories: words of the description give them, the first word of the list that starts a word.
-- A trailing space asks for the whole word.
WITH words (place, word, category) AS (
    VALUES
    (10, 'CHRISTMAS', 'christmas'), (11, 'ADVENT ', 'christmas'), (12, 'SANTA', 'christmas'), (13, 'REINDEER', 'christmas'),
    (14, 'SNOW', 'christmas'), (15, 'BAUBLE', 'christmas'), (16, 'WREATH', 'christmas'),
    (20, 'BAG', 'bags'), (21, 'SHOPPER', 'bags'), (22, 'PURSE', 'bags'), (23, 'WALLET', 'bags'), (24, 'BACKPACK', 'bags'),
    (25, 'SUITCASE', 'bags'), (26, 'LUGGAGE', 'bags'),
    (30, 'LIGHT', 'candles and lights'), (31, 'CANDLE', 'candles and lights'), (32, 'LANTERN', 'candles and lights'),
    (33, 'LAMP', 'candles and lights'), (34, 'INCENSE', 'candles and lights'),
    (40, 'HOT WATER BOTTLE', 'comfort and care'), (41, 'HAND WARMER', 'comfort and care'), (42, 'HOTTIE', 'comfort and care'),
    (43, 'PLASTERS', 'comfort and care'), (44, 'TISSUE', 'comfort and care'), (45, 'UMBRELLA', 'comfort and care'),
    (46, 'BATH', 'comfort and care'), (47, 'SOAP', 'comfort and care'), (48, 'SLIPPER', 'comfort and care'),
    (50, 'BUNTING', 'party'), (51, 'PARTY', 'party'), (52, 'BIRTHDAY', 'party'), (53, 'BALLOON', 'party'),
    (54, 'GARLAND', 'party'), (55, 'CAKE CASE', 'party'), (56, 'PAPER CHAIN', 'party'), (57, 'COCKTAIL', 'party'),
    (60, 'GAME', 'toys'), (61, 'DOLL ', 'toys'), (62, 'TOY', 'toys'), (63, 'PLAYING CARDS', 'toys'), (64, 'SNAP CARDS', 'toys'),
    (65, 'PLAYHOUSE', 'toys'), (66, 'JIGSAW', 'toys'), (67, 'SKITTLES', 'toys'), (68, 'SKIPPING', 'toys'),
    (69, 'SPINNING TOP', 'toys'), (70, 'HARMONICA', 'toys'), (71, 'BABUSHKA', 'toys'), (72, 'GLIDER', 'toys'),
    (73, 'PUZZLE', 'toys'), (74, 'MONEY BANK', 'toys'), (75, 'DOMINOES', 'toys'),
    (80, 'FELT', 'craft'), (81, 'SEWING', 'craft'), (82, 'CRAFT', 'craft'), (83, 'KNITTING', 'craft'), (84, 'PAINT ', 'craft'),
    (85, 'MODELLING', 'craft'), (86, 'CRAYON', 'craft'), (87, 'COLOURING', 'craft'),
    (90, 'NECKLACE', 'jewellery'), (91, 'EARRING', 'jewellery'), (92, 'BRACELET', 'jewellery'), (93, 'HAIR', 'jewellery'),
    (94, 'RING ', 'jewellery'), (95, 'BROOCH', 'jewellery'), (96, 'JEWEL', 'jewellery'),
    (100, 'CAKE', 'kitchen'), (101, 'BAKING', 'kitchen'), (102, 'MUG', 'kitchen'), (103, 'CUP', 'kitchen'), (104, 'TEA', 'kitchen'),
    (105, 'COFFEE', 'kitchen'), (106, 'BOWL', 'kitchen'), (107, 'PLATE', 'kitchen'), (108, 'JAR', 'kitchen'), (109, 'JAM ', 'kitchen'),
    (110, 'BOTTLE', 'kitchen'), (111, 'KITCHEN', 'kitchen'), (112, 'CUTLERY', 'kitchen'), (113, 'EGG', 'kitchen'),
    (114, 'LUNCH BOX', 'kitchen'), (115, 'APRON', 'kitchen'), (116, 'JUG', 'kitchen'), (117, 'RECIPE', 'kitchen'),
    (118, 'PANTRY', 'kitchen'), (119, 'COOKIE', 'kitchen'), (120, 'BISCUIT', 'kitchen'), (121, 'BREAD', 'kitchen'),
    (122, 'SNACK', 'kitchen'), (123, 'NAPKIN', 'kitchen'), (124, 'SPOON', 'kitchen'), (125, 'TRAY', 'kitchen'), (126, 'TIN ', 'kitchen'),
    (127, 'TINS', 'kitchen'), (128, 'DOIL', 'kitchen'), (129, 'PLACEMAT', 'kitchen'), (130, 'COASTER', 'kitchen'), (131, 'PICNIC', 'kitchen'),
    (132, 'STRAWS', 'kitchen'), (133, 'SCALES', 'kitchen'), (134, 'DINER', 'kitchen'), (135, 'POPCORN', 'kitchen'), (136, 'GLASS', 'kitchen'),
    (140, 'CARD', 'stationery'), (141, 'WRAP', 'stationery'), (142, 'PENCIL', 'stationery'), (143, 'PEN ', 'stationery'),
    (144, 'NOTEBOOK', 'stationery'), (145, 'RIBBON', 'stationery'), (146, 'CHALK', 'stationery'), (147, 'BOOK', 'stationery'),
    (148, 'TAPE', 'stationery'), (149, 'STICKER', 'stationery'), (150, 'STATIONERY', 'stationery'), (151, 'TAG', 'stationery'),
    (152, 'MAGNET', 'stationery'), (153, 'MEMO', 'stationery'), (154, 'ERASER', 'stationery'), (155, 'STAMP', 'stationery'),
    (160, 'GARDEN', 'garden'), (161, 'PLANT', 'garden'), (162, 'HERB', 'garden'), (163, 'WATERING CAN', 'garden'), (164, 'BIRD', 'garden'),
    (165, 'PARASOL', 'garden'), (166, 'KNEELING', 'garden'), (167, 'FLOWER', 'garden'), (168, 'BUCKET', 'garden'),
    (170, 'SIGN ', 'home'), (171, 'CLOCK', 'home'), (172, 'FRAME', 'home'), (173, 'DOOR', 'home'), (174, 'HOOK', 'home'),
    (175, 'DRAWER', 'home'), (176, 'KNOB', 'home'), (177, 'CABINET', 'home'), (178, 'MIRROR', 'home'), (179, 'CUSHION', 'home'),
    (180, 'HANG', 'home'), (181, 'DECORATION', 'home'), (182, 'HEART', 'home'), (183, 'HOLDER', 'home'), (184, 'ORNAMENT', 'home'),
    (185, 'BOX', 'home'), (186, 'RACK ', 'home'), (187, 'WALL', 'home'), (188, 'BLOCK', 'home'), (189, 'BASKET', 'home'),
    (190, 'STAND ', 'home'), (191, 'TABLE', 'home'), (192, 'WICKER', 'home'), (193, 'WOOD ', 'home'), (194, 'WOODEN', 'home'),
    (195, 'METAL', 'home'), (196, 'ZINC', 'home'), (197, 'STORAGE', 'home'), (198, 'TRINKET', 'home'), (199, 'CHEST', 'home')
),

-- Some lines repeat word for word and some invoices take two minutes, but none passes midnight:
-- a window of days never cuts an invoice, and its lines are always numbered alike.
lines AS (
    SELECT
        "InvoiceNo",
        "StockCode",
        "Description",
        "Quantity",
        CAST("InvoiceDate" AS TIMESTAMP) AT TIME ZONE 'Europe/London' AS ordered_at,
        CAST("UnitPrice" AS DECIMAL(18, 4)) AS unit_price,
        CAST(CAST(CAST("CustomerID" AS DECIMAL(18, 1)) AS BIGINT) AS VARCHAR) AS customer_id,
        ROW_NUMBER() OVER (
            PARTITION BY "InvoiceNo"
            ORDER BY
                "StockCode" COLLATE "C", "Description" COLLATE "C", "Quantity", "UnitPrice", "InvoiceDate" COLLATE "C",
                "CustomerID" COLLATE "C", "Country" COLLATE "C"
        ) AS line_number
    FROM online_retail
    WHERE
        CAST("InvoiceDate" AS TIMESTAMP) AT TIME ZONE 'Europe/London' >= $day_start
        AND CAST("InvoiceDate" AS TIMESTAMP) AT TIME ZONE 'Europe/London' < $day_end
),

matches AS (
    SELECT
        descriptions."Description",
        words.category,
        ROW_NUMBER() OVER (PARTITION BY descriptions."Description" ORDER BY words.place) AS choice
    FROM (SELECT DISTINCT "Description" FROM lines) AS descriptions
    JOIN words
        ON (' ' || REPLACE(UPPER(descriptions."Description"), '-', ' ') || ' ') LIKE ('% ' || words.word || '%')
)

SELECT
    lines."InvoiceNo" AS order_id,
    lines.line_number,
    lines.customer_id,
    lines.ordered_at,
    CAST(lines."Quantity" AS DECIMAL(18, 4)) AS quantity,
    CAST(lines."Quantity" * lines.unit_price AS DECIMAL(18, 4)) AS net_amount,
    lines."StockCode" AS product_id,
    CASE
        WHEN lines."StockCode" IN ('POST', 'DOT', 'C2', 'M', 'm', 'D', 'S', 'B', 'AMAZONFEE', 'BANK CHARGES', 'CRUK') THEN 'service'
        ELSE COALESCE(matches.category, 'other')
    END AS category
FROM lines
LEFT JOIN matches ON matches."Description" = lines."Description" AND matches.choice = 1
