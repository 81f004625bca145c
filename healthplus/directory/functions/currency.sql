-- How many decimals an amount of a currency has, by ISO 4217; healthplus/money.py says the same.
CREATE FUNCTION directory.currency_digits(p_currency text) RETURNS integer
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE
        WHEN p_currency = ANY ('{BIF,CLP,DJF,GNF,ISK,JPY,KMF,KRW,PYG,RWF,UGX,UYI,VND,VUV,XAF,XOF,XPF}') THEN 0
        WHEN p_currency = ANY ('{BHD,IQD,JOD,KWD,LYD,OMR,TND}') THEN 3
        WHEN p_currency = ANY ('{CLF,UYW}') THEN 4
        ELSE 2 END
$$;
