---@meta

---What every script has in addition to Lua's own library.

---The installed integrations, each with its accounts. This table is read-only.
---@class app
---@field integrations app.integrations
app = {}

---What a failed call raises. `tostring(err)` is its message.
---@class app.error
---@field code "unknown_path"|"bad_arguments"|"not_configured"|"session_expired"|"denied"|"timeout"|"api_error"|"rate_limited"|"network"|"limit_exceeded"|"plugin_error"|"doc_not_found"|"script_cycle"|string
---@field message string One line: what happened, where, and what to do.
---@field hint? string What to do.
---@field param? string The parameter at fault.
---@field status? integer The HTTP status, if the service answered.
---@field retryable? boolean Whether the same call could succeed later.
---@field retry_after? number Seconds to wait before a retry.
---@field request_id? string The id that the service gave the request.
---@field body? any The service's answer, decoded, up to 16 KiB.
---@field path? string The function that was called.
---@field account? string The account that it was called for.

---The content of `--input`: decoded JSON, TOML or CSV, or text. nil without this option.
---@type any
input = nil

---Stands for a secret. It can be passed whole to a function, but cannot be read, joined or compared.
---@class Secret

---The secrets that `--secret NAME=SOURCE` and `[kosmolua.secrets]` provide.
---@type table<string, Secret>
secrets = {}

---The parameters that the script's header declares, with their defaults.
---@type table<string, any>
params = {}

---Prints a value as `print` does, and returns it.
---@generic T
---@param value T
---@return T
function dump(value) end

---Prints values as `print` does, but without tabs between them and without a newline.
---@param ... any
function write(...) end

---Waits, without taking processor time. Other functions in `parallel` continue. With `--simulate`, the clock of the
---simulators advances instead.
---@param seconds number
function sleep(seconds) end

---@class wait_until.options
---@field every? number|string The seconds between two calls, or a text such as `30s` (default: 10).
---@field timeout? number|string How long to wait in all, in seconds or as in `30m` (default: 1800).

---Calls a function until it returns something other than nil and false, and returns that. Between two calls it waits, as
---`sleep` does. Raises an error with the code `timeout` once the waiting has taken too long.
---@generic T
---@param f fun(): T?
---@param options? wait_until.options
---@return T
function wait_until(f, options) end

---Ends the script with an exit status. `pcall` does not catch this, and printed output is kept.
---@param status? integer 0 to 63 (default: 0, which is success).
function exit(status) end

---Lists the pages of the documentation, one per line.
---@param namespace? string `guides`, `integrations`, or an integration such as `render2`.
---@return string
function lua_list_docs(namespace) end

---@class lua_search_docs.options
---@field limit? integer How many pages, in 1..100 (default: 10).

---Finds the documentation pages that match some words, best first.
---@param query string
---@param options? lua_search_docs.options
---@return string
function lua_search_docs(query, options) end

---@class lua_read_doc.options
---@field detail? "brief"|"signatures"|"types"|"full" How much to say (default: "full").
---@field budget? integer The most characters to return; the richest detail that fits is chosen.

---Reads a page, such as `overview`, `integrations.render2` or `render2.list_services`.
---@param page string
---@param options? lua_read_doc.options
---@return string
function lua_read_doc(page, options) end

---Times: in seconds since 1970, in UTC.
---@class timelib
time = {}

---Returns the seconds since 1970 in UTC, with fractions. With `--simulate`, it is the time of the simulators.
---@return number
function time.now() end

---Reads a time in the format of RFC 3339 or ISO 8601, such as `2026-03-02T09:00:00.5+01:00` or `2026-03-02`. A time without
---a time zone is in UTC. Other text raises an error.
---@param text string
---@return number seconds since 1970; an integer if there is no fraction
function time.parse(text) end

---Writes a time in UTC, in the format of RFC 3339 or with a strftime pattern such as `%Y-%m-%d`.
---@param seconds number seconds since 1970
---@param pattern? string
---@return string
function time.format(seconds, pattern) end

---@class jsonlib
---@field null any Stands for null, in arguments and in what `json.decode` reads. In objects of a call's result, a null is an absent key.
json = {}

---Reads JSON, with `json.null` for null. Text that is not JSON raises an error that names the position.
---@param text string
---@return any
function json.decode(text) end

---@class json.options
---@field pretty? boolean Whether to indent (default: false).

---Writes a value as JSON. An empty table is written as `{}`, unless it came from `[]` or from `json.array`.
---@param value any
---@param options? json.options
---@return string
function json.encode(value, options) end

---Marks a table as a list and returns it, so that it is written as `[]` even if it is empty.
---@param list? any[]
---@return any[]
function json.array(list) end

---Regular expressions with the syntax of Python's `re`, without delimiters.
---@class regexlib
regex = {}

---Finds the first match. Returns a table with the whole match at 0, groups by number, and named groups also by name. A
---group that took no part in the match is false. Returns nil if there is no match.
---@param text string
---@param pattern string
---@param flags? string Any of i, m, s, x and a.
---@return table<integer|string, string|false>|nil
function regex.match(text, pattern, flags) end

---Finds every match. Returns a list of tables like those of `regex.match`.
---@param text string
---@param pattern string
---@param flags? string Any of i, m, s, x and a.
---@return table<integer|string, string|false>[]
function regex.match_all(text, pattern, flags) end

---Replaces matches. In a replacement, `$1` and `${name}` stand for groups and `$0` for the whole match.
---@param text string
---@param pattern string
---@param replacement string|fun(captures: table<integer|string, string|false>): string
---@param limit? integer How many to replace at most.
---@return string text
---@return integer count
function regex.gsub(text, pattern, replacement, limit) end

---Splits a text at each match.
---@param text string
---@param pattern string
---@param flags? string Any of i, m, s, x and a.
---@return string[]
function regex.split(text, pattern, flags) end

---Runs functions at once: while a call in one waits, the others go on.
---@class parallellib
parallel = {}

---@class parallel.options
---@field limit? integer How many run at once (default: 8).

---Runs the functions at once and returns their results in order. If some fail, the error of the first of these in the list
---is raised once the others have ended.
---@generic T
---@param functions (fun(): T)[]
---@param options? parallel.options
---@return T[]
function parallel.all(functions, options) end

---Runs `f(item, index)` for every item of a list, several at once, and returns the results in order. A function of
---`app.integrations` gets the item only.
---@generic T, R
---@param list T[]
---@param f fun(item: T, index: integer): R
---@param options? parallel.options
---@return R[]
function parallel.map(list, f, options) end

---Text in base64.
---@class base64lib
base64 = {}

---@class base64.options
---@field url? boolean Whether to use the alphabet for URLs, with `-` and `_`, and no padding (default: false).

---Encodes a text in base64. The text can contain any bytes.
---@param text string
---@param options? base64.options
---@return string
function base64.encode(text, options) end

---Decodes base64 in either alphabet. Padding can be left out, and white space is skipped. Other text raises an error.
---@param text string
---@return string
function base64.decode(text) end

---Hashes of texts, in hex.
---@class hashlib
hash = {}

---Returns the SHA-256 of a text in hex.
---@param text string
---@return string
function hash.sha256(text) end

---Returns the SHA-1 of a text in hex.
---@param text string
---@return string
function hash.sha1(text) end

---Returns the MD5 of a text in hex.
---@param text string
---@return string
function hash.md5(text) end

---Returns the HMAC-SHA-256 of a text in hex.
---@param key string
---@param text string
---@return string
function hash.hmac_sha256(key, text) end

---Parts of URLs.
---@class urllib
url = {}

---Percent-encodes a text as a part of a URL. Letters, digits and `-_.~` stay as they are.
---@param text string
---@return string
function url.encode(text) end

---Decodes percent-encoded text. A plus sign stays as it is. A `%` without two hexadecimal digits raises an error.
---@param text string
---@return string
function url.decode(text) end

---Returns the query string of a URL from a table, sorted by name. The name of a list is repeated for each item.
---@param parameters table<string, string|number|boolean|(string|number|boolean)[]>
---@return string
function url.query(parameters) end

---Comma-separated values.
---@class csvlib
csv = {}

---@class csv.options
---@field header? boolean Whether the first line names the columns (default: true).
---@field separator? string The character between cells (default: a comma).

---Reads comma-separated values. Each line becomes a table whose keys are the names in the first line or, without a header,
---a list of cells. Cells are strings. Malformed text raises an error that names the line.
---@param text string
---@param options? csv.options
---@return table[]
function csv.parse(text, options) end

---@class csv.writing
---@field header? boolean|string[] The columns and their order, or false for no line of names (default: all, sorted).
---@field separator? string The character between cells (default: a comma).

---Writes comma-separated values. The rows are lists, or tables whose keys are the columns and make up the first line.
---@param rows table[]
---@param options? csv.writing
---@return string
function csv.format(rows, options) end
