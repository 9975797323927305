"""What is compared of users' SQL: by function and operator, expressions over the columns of `sql_values`."""

from __future__ import annotations


def read(text: str) -> dict[str, list[str]]:
    """A name and its expressions a line, `name: a; b`; a line that begins with a space goes on."""
    lines = text.strip().replace("\n ", "").splitlines()
    return {name: more.split("; ") for name, more in (line.split(": ", 1) for line in lines)}


# By the name that FUNCTIONS has, of each row.
ROWS_OF = read(r"""
Upper: upper(s); upper(t)
Lower: lower(s); lower(t)
Trim: trim(s); ltrim(s); rtrim(s); trim(both 'a' from s); trim(u)
Length: length(s); char_length(t); length(s) * 1000000000
Substring: substring(s, 2); substring(s, 0, 2); substring(s, -2); substring(s, -2, 1); substr(s, j, 2);
  substring(s, -30, 29); substring(s, 2, -1); substring(s, 1, j); substring(s, 2, 9223372036854775807)
Left: left(s, 2); left(s, -1); left(s, j)
Right: right(s, 2); right(s, -1); right(s, 0); right(s, j)
Concat: concat(s, t); concat(s, null); concat(s, i, x, b, m)
ConcatWs: concat_ws(',', s, t); concat_ws('', s, null)
Replace: replace(s, 'a', 'b'); replace(s, '', 'b'); replace(s, t, '')
Pad: lpad(s, 5, '*'); rpad(s, 5, 'ab'); lpad(s, 5); rpad(s, -1, '*'); lpad(s, 1, '0')
StrPosition: instr(s, 'b'); instr(s, ''); locate('b', s); locate('b', s, 2); instr(s, t)
SplitPart: split_part(s, ',', 2); split_part(s, ',', -1); split_part(s, '.', 9)
StartsWith: startswith(s, 'a'); startswith(s, t)
EndsWith: endswith(s, 'c'); endswith(s, t)
Contains: contains(s, 'b'); contains(s, t)
Translate: translate(s, 'abc', 'xy'); translate(s, 'ß', 's')
Repeat: repeat(s, 2); repeat(s, -1)
MD5: md5(s)
SHA: sha1(s); sha(t)
SHA2: sha2(s, 256)
RegexpLike: s rlike 'a.*'; s rlike '^a.b$'; s rlike '\\d'; s rlike '\\w+'; lower(s) rlike 'abc|k';
  s rlike 'b$'; s rlike '\\s'; s rlike '[\\s,]'; s rlike 'a.b'; regexp_like(s, 'x.y'); s rlike ''
RegexpExtract: regexp_extract(s, '(a)(b)?', 2); regexp_extract(s, 'a(.)'); regexp_extract(s, '.+$', 0)
RegexpReplace: regexp_replace(s, 'a', 'x'); regexp_replace(s, '(a)(b)', '<$2$1>');
  regexp_replace(s, '.', '-')
Abs: abs(i); abs(n); abs(d); abs(m); abs(-3)
Ceil: ceil(d); ceil(m); ceil(i); ceiling(w); ceil(n)
Floor: floor(d); floor(m); floor(i); floor(w)
Round: round(d); round(d, 2); round(m, 1); round(m); round(i); round(w, 3); round(i, 2); round(o, 2)
Sqrt: sqrt(d); sqrt(m); sqrt(j)
Exp: exp(d); exp(j)
Ln: ln(d); log(m); ln(j)
Log: log10(d); log2(d); log(3, j)
Pow: power(d, 2); power(j, j); pow(d, e); power(m, 2)
Mod: i % j; n % -3; d % e; mod(i, 3); mod(m, 3); m % o; i % -1; -7 % 3
IsNan: isnan(d); isnan(e)
Case: case when b then 1 when c then 2 end; case i when 0 then 'x' else 'y' end;
  case when c then i else d end; case when b then 1.5 else 0 end; case when b then m else o end
If: if(b, i, j); if(i > 0, 'a', 'b'); if(c, x, y)
Coalesce: coalesce(i, j); coalesce(s, t, 'z'); coalesce(i, d); ifnull(i, j); nvl(m, o); coalesce(x, y)
Nullif: nullif(i, j); nullif(d, e); nullif(s, t); nullif(m, o)
Nvl2: nvl2(i, j, 0)
Greatest: greatest(i, j); greatest(d, e); greatest(s, t); greatest(i, d); greatest(m, o, null);
  greatest(x, y)
Least: least(i, j); least(d, e); least(s, null); least(m, j); least(p, q)
And: b and c; c and null
Or: b or c; c or null
Exists: exists (select 1 from primary p2 where p2.id = 3)
Cast: cast(u as int); cast(u as bigint); cast(u as double); cast(u as decimal(10,2)); cast(u as boolean);
  cast(v as date); cast(v as timestamp); to_timestamp(v); cast(d as int); cast(d as bigint);
  cast(n as smallint); cast(d as decimal(10,2)); cast(d as decimal(38,10)); cast(d as boolean);
  cast(i as int); cast(i as string); cast(i as double); cast(i as decimal(10,2)); cast(i as boolean);
  cast(i as timestamp); cast(m as int); cast(m as string); cast(m as double); cast(w as double);
  cast(m as decimal(3,1)); cast(o as decimal(8,2)); cast(b as int); cast(b as string); cast(x as string);
  cast(x as timestamp); cast(p as string); cast(q as string); cast(p as date); cast(q as bigint);
  int('2.7'); cast(b as double); s::string
TryCast: try_cast(u as int); try_cast(d as int); try_cast(v as date)
CurrentDate: current_date() > x
CurrentTimestamp: current_timestamp() > p
TsOrDsToDate: to_date(v); to_date(p); to_date(x)
TimeStrToTime: date_format(x, 'yyyy/MM/dd')
TimeToStr: date_format(p, 'yyyy-MM-dd'); date_format(q, 'yyyyMMdd HH:mm:ss'); date_format(x, 'yyyy-MM')
StrToUnix: unix_timestamp(p); unix_timestamp(q); unix_timestamp(x)
Year: year(x); year(p); year(v)
Quarter: quarter(x); quarter(p)
Month: month(x); month(p)
WeekOfYear: weekofyear(x); weekofyear(q)
Day: day(x); day(q)
DayOfMonth: dayofmonth(x)
DayOfYear: dayofyear(x); dayofyear(p)
DayOfWeek: dayofweek(x); dayofweek(q)
Hour: hour(p); hour(q)
Minute: minute(p); minute(q)
Second: second(p); second(q)
Extract: extract(year from p); extract(week from x); extract(dow from x); extract(doy from y);
  extract(hour from q)
TsOrDsAdd: date_add(y, 1); date_sub(y, 400); date_add(y, j); date_sub(q, j); dateadd(y, -1); date_add(y, i)
DateDiff: datediff(x, y); datediff(p, q); datediff(x, q)
AddMonths: add_months(y, 1); add_months(y, -1); add_months(y, j); add_months(q, 12); add_months(y, i)
LastDay: last_day(x); last_day(q)
TimestampTrunc: date_trunc('year', q); date_trunc('quarter', q); date_trunc('month', q);
  date_trunc('week', q); date_trunc('day', q); date_trunc('hour', q); date_trunc('minute', q);
  date_trunc('second', q); date_trunc('month', x); date_trunc('week', y)
DateTrunc: trunc(x, 'year'); trunc(x, 'MM'); trunc(y, 'week'); trunc(q, 'quarter')
ArraySize: size(a); size(g)
ArrayContains: array_contains(a, 2); array_contains(g, 'a'); array_contains(a, j)
ArrayMax: array_max(a); array_max(g)
ArrayMin: array_min(a)
ArrayToString: array_join(g, ',')
RowNumber: row_number() over (partition by b order by id)
Rank: rank() over (order by j); rank() over (order by d); rank() over (order by e desc)
DenseRank: dense_rank() over (order by d); dense_rank() over (order by s desc)
Lag: lag(i) over (order by id); lag(s, 2) over (order by id)
Lead: lead(d, 1) over (order by id)
""")

OPERATORS = read(r"""
whole: i + j; i - j; i * j; n + n; n * n; -i; -n; n + 1; 2147483647 + n; -(i - 1); +i
division: i / j; n / 3; d / e; m / 3; m / o; w / 3; i / 0; m / 0.0; cast(m / 2 as decimal(10,2))
doubles: d + e; d - e; d * e; m * d; i + d; -d
decimals: m * m; m + m; m - o; m * 1.19; m * j; j * m * 1.19; m + 1; -m; m * 0; m * 3 * 1.19 * 2; o * o; i + 0.5
comparison: d = e; d < e; d >= e; d <=> e; d <> e; i = d; m = d; m = j; w = d; i > 1.5; d > 0.1; d = 0.1;
  m = 0.5; s = t; s < t; s > 'a'; b = c; b <=> c; b < c; x = p; x < y; p >= q; a = a; r.f = 1;
  x = '2026-03-01'; p > '2026-03-01'; q = '2026-03-01 00:00:00'; x = date'2026-03-01';
  p >= timestamp'2026-03-01 00:00:00'; d is distinct from e; n = i; w > i; not (b = c)
membership: i in (1, 2, null); i not in (1, 2, null); s in ('a', null); d in (0.1, 1.5); m in (1.5, 2);
  i between 0 and 10; d between 0 and e; x between '2020-01-01' and y
truth: not b; b is true; c is not true; c is null; d is null; s is not null; true and c
text: s || t; s || i; s || m; s || x; s || q; s || b; s || null
like: s like 'a%'; s like '%\\_c'; s like 'a!%b%' escape '!'; s ilike 'A%'; s like '_'; s not like '%b';
  s ilike '%ß%'; s ilike '_'; s ilike '%σ'; s like '%\n%'; s ilike 'i%'
bits: i & j; i | j; i ^ j; ~i
moments: y + 1; y - 1; y + j; y - i; y + interval 1 day; y - interval 2 weeks; y + interval 1 month;
  y - interval 1 year; q + interval 1 hour; q - interval 1 day; q + interval 1 month;
  q + interval '2' minutes; q - interval 1 week
parts: a[0]; a[5]; g[1]; r.f; r.h; primary.r.f; (select max(j) from primary);
  (select max(j) from primary) + i
windows: sum(j) over (order by id); avg(j) over (partition by b); max(d) over (order by d, id);
  row_number() over (order by d, id); row_number() over (order by d desc, id);
  row_number() over (order by s, id)
""")

# By the name that FUNCTIONS has, of all rows.
AGGREGATES = read(r"""
Count: count(*); count(i); count(distinct d); count(distinct s); count(distinct e); count(distinct i, j);
  count(*) filter (where b);
  (select count(*) from primary p2 where p2.i in (select j from primary p3) and not p2.j in (select 5 as k));
  count(case when id < 0 then 1 end); (select count(*) from (select d from primary p2 group by d) z);
  (select count(*) from (select distinct e from primary p2) z);
  (select sum(k * 2) from (select d + 1 as k, j as z from primary p2 where d < 10 order by z, k) y);
  (select max(n) from (select b, count(*) as n from primary p2 group by b having n > 1) z); (select sum(k) from (select j from primary p2) as z(k));
  (select max(j) from (select j from primary p2 union all select i from primary p3 order by j) z)
CountIf: count_if(b); count_if(c is null)
Sum: sum(i); sum(n); sum(d); sum(e); sum(m); sum(j); sum(distinct j); sum(j) filter (where b);
  sum(case when b then 1.5 else 0 end); sum(case when id < 0 then 1 end); sum(9223372036854775807);
  sum(i) + sum(j)
Avg: avg(i); avg(j); avg(d); avg(m); avg(distinct j); avg(j) filter (where b);
  avg(case when id < 0 then 1 end); avg(case when b then 1.0 else 0.0 end); sum(j) / count(j); avg(o)
Min: min(d); min(s); min(x); min(b); min(e); min(m); min(q)
Max: max(d); max(s); max(p); max(e); max(length(s)); max(i) + 1
Median: median(j); median(m); median(id); median(cast(null as double))
Quantile: percentile(j, 0.5); percentile(j, 0.25); percentile(id, 0.9)
Stddev: stddev(j); stddev(case when id < 1 then 1 end)
StddevPop: stddev_pop(j); stddev_pop(id)
StddevSamp: stddev_samp(j)
Variance: variance(j); var_samp(id)
VariancePop: var_pop(j)
LogicalAnd: bool_and(b); bool_and(c is null)
LogicalOr: bool_or(b); bool_or(case when id < 0 then b end)
""")

# Where the machine's and Java's mathematics may differ in the last bits.
LAST_BIT = frozenset(text for name in ("Exp", "Ln", "Log", "Pow") for text in ROWS_OF[name])

# What is refused, and a part of what the message says to write.
REFUSED: dict[str, str] = {
    "x - y": "datediff",
    "p - q": "unix_timestamp",
    "u > 5": "cast one of them",
    "u = 12": "cast one of them",
    "u + 1": "cast",
    "b = 1": "cast one of them",
    "x > v": r"cast\(v as date\)",
    "x = '2026-03-01 10:00:00'": "2026-02-25",
    "coalesce(i, s)": "cast one of them",
    "if(b, 1, 'x')": "cast one of them",
    "case when b then 1 else 'x' end": "cast one of them",
    "i in ('1')": "cast one of them",
    "cast(d as string)": "decimal",
    "s || d": "decimal",
    "cast(w as string)": "decimal",
    "cast(d as timestamp)": "bigint",
    "cast(x as int)": "unix_timestamp",
    "cast(d as float)": "double",
    "w * w": "fewer digits",
    "w + w": "fewer digits",
    "cast(m as decimal(19,4)) * cast(m as decimal(19,4))": "fewer digits",
    "sum(w)": "cast",
    "i div j": "bigint",
    "i << 2": "multiply",
    "round(d, -1)": "0 to 15",
    "round(d, j)": "as written",
    "ceil(d, 1)": "no decimals",
    "replace(s, 'a')": "three texts",
    "lpad(s, 5, '')": "not empty",
    "lpad(s, 5, t)": "as written",
    "split_part(s, '', 1)": "not empty",
    "split_part(s, ',', 0)": "not 0",
    "sha2(s, 512)": "256",
    "s rlike t": "as written",
    "s rlike '(?=a)'": "look-around",
    "s rlike '(a)\\\\1'": "references",
    "s rlike '\\\\bx'": "escapes",
    "s rlike '\\\\p{L}'": "escapes",
    "s rlike '[[:alpha:]]'": "a class within",
    "s rlike 'a++'": "possessive",
    "s rlike '(?m)a'": "flags",
    "s rlike '(?i)a'": "lower",
    "s rlike '('": "is none",
    "regexp_extract(s, 'a')": "0 groups",
    "regexp_replace(s, 'b*', '-')": "no letters",
    "regexp_replace(s, 'b', '$x')": "number of a group",
    "s like t": "as written",
    "s like 'a\\\\b'": "stands",
    "i like '1%'": "no text",
    "(select count(*) from (select i from primary p2 union all select s from primary p3) z)": "union",
    "date_format(p, 'EEEE')": "yyyy MM dd",
    "to_date(v, 'dd.MM.yyyy')": "format",
    "extract(second from p)": "second",
    "date_trunc('decade', p)": "date_trunc knows",
    "trunc(x, 'decade')": "trunc knows",
    "datediff(MONTH, x, y)": "no unit",
    "i in (select j from primary p2)": "exists",
    "lpad(s, j, '0')": "as written",
    "repeat(s, i)": "as written",
    "p + 1": "interval",
    "y + interval 1 hour": "timestamp",
    "unix_timestamp(v)": "cast",
    "upper(i)": "cast",
    "sum(s)": "cast",
    "array_contains(a, 'x')": "cast one of them",
    "any(b)": "bool_or",
    "exists(a, k -> k > 2)": "functions of functions",
    "s and b": "no condition",
    "i & d": "no whole number",
    **{
        f"{name}({arguments})": "not allowed or not known"
        for name, arguments in {
            **{
                "bround": "d, 1",
                "width_bucket": "d, 0, 10, 5",
                "substring_index": "s, ',', 2",
                "elt": "1, s, t",
            },
            **{
                "soundex": "s",
                "reverse": "s",
                "initcap": "s",
                "levenshtein": "s, t",
                "sin": "d",
                "first": "s",
            },
            **{"collect_list": "i", "approx_count_distinct": "s", "mode": "j", "get_json_object": "s, '$.a'"},
        }.items()
    },
}
