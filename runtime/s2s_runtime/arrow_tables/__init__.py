"""Arrow tables whose column is decoded: what workers of Ray and of Spark do with each table that they are handed."""
