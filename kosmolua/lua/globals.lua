---@meta

---What every script has beside Lua's own library.

---The integrations that are installed, each with its accounts. Nothing in it can be assigned.
---@class app
---@field integrations app.integrations
app = {}

---What a failed call raises. `tostring(err)` is its message.
---@class app.error
---@field code "unknown_path"|"bad_arguments"|"not_configured"|"denied"|"timeout"|"api_error"|"rate_limited"|"network"|"limit_exceeded"|"plugin_error"|"doc_not_found"|string
---@field message string One line: what happened, where, and what to do.
---@field hint? string What to do.
---@field param? string The parameter at fault.
---@field status? integer The HTTP status, where the service answered.
---@field retryable? boolean Whether the same call may succeed later.
---@field retry_after? number Seconds to wait before that.
---@field request_id? string The service's own name for the request.
---@field body? any What the service answered, decoded, at most 16 KiB.
---@field path? string The function that was called.
---@field account? string The account it was called for.

---What `--input` holds: JSON, TOML or CSV decoded, or text. nil without it.
---@type any
input = nil

---Stands for a secret. It can be passed to a function, whole, and cannot be read, joined or compared.
---@class Secret

---The secrets that `--secret NAME=SOURCE` and `[kosmolua.secrets]` give.
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

---Waits in the host: it takes no processor time, and other branches of `parallel` go on. With `--simulate` the time of the
---simulators moves on instead.
---@param seconds number
function sleep(seconds) end

---Ends the script with an exit status. Nothing catches it, and what was printed stays.
---@param status? integer 0 to 63 (default: 0, which is success).
function exit(status) end

---Lists the pages of the documentation, one a line.
---@param namespace? string `guides`, `integrations`, or an integration such as `render2`.
---@return string
function lua_list_docs(namespace) end

---@class lua_search_docs.options
---@field limit? integer How many pages, in 1..100 (default: 10).

---Finds the pages to read for some words, best first.
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

---Returns the seconds since 1970 in UTC, with fractions. With `--simulate` it is the time of the simulators.
---@return number
function time.now() end

---Reads a time in the form of RFC 3339 or ISO 8601, such as `2026-03-02T09:00:00.5+01:00` or `2026-03-02`, which without a
---zone is in UTC. Another text raises.
---@param text string
---@return number seconds since 1970; an integer if there is no fraction
function time.parse(text) end

---Writes a time in UTC: in the form of RFC 3339, or by a pattern of strftime such as `%Y-%m-%d`.
---@param seconds number since 1970
---@param pattern? string
---@return string
function time.format(seconds, pattern) end

---@class jsonlib
---@field null any Stands for null inside arrays and inside arguments. In objects that are read a null is an absent key.
json = {}

---Reads JSON. Text that is not JSON raises, with the position.
---@param text string
---@return any
function json.decode(text) end

---@class json.options
---@field pretty? boolean Whether to indent (default: false).

---Writes a value as JSON. An empty table is `{}`, unless it came from `[]` or from `json.array`.
---@param value any
---@param options? json.options
---@return string
function json.encode(value, options) end

---Marks a table as a list, so that it is `[]` even when empty.
---@param list? any[]
---@return any[]
function json.array(list) end

---Regular expressions with the syntax of Python's `re`, without delimiters.
---@class regexlib
regex = {}

---Finds the first match: the whole at 0, groups by number, named groups also by name. A group without a part is false.
---@param text string
---@param pattern string
---@param flags? string Any of i, m, s, x and a.
---@return table<integer|string, string|false>|nil
function regex.match(text, pattern, flags) end

---Finds every match, each as `regex.match` returns it.
---@param text string
---@param pattern string
---@param flags? string Any of i, m, s, x and a.
---@return table<integer|string, string|false>[]
function regex.match_all(text, pattern, flags) end

---Replaces matches. `$1` and `${name}` in a replacement stand for groups, `$0` for the whole match.
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

---Runs every function and returns their results in order. The first error by position is raised, after the others end.
---@generic T
---@param functions (fun(): T)[]
---@param options? parallel.options
---@return T[]
function parallel.all(functions, options) end

---Runs `f(item, index)` for every item of a list and returns the results in order. A function of `app.integrations` gets
---the item only.
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
---@field url? boolean Whether to write `-` and `_` for `+` and `/`, and no padding, as URLs have it (default: false).

---Encodes a text, whatever its bytes.
---@param text string
---@param options? base64.options
---@return string
function base64.encode(text, options) end

---Decodes a text in base64, with either alphabet, also without padding and with white space. Another text raises.
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

---Returns the HMAC of a text with SHA-256, in hex.
---@param key string
---@param text string
---@return string
function hash.hmac_sha256(key, text) end

---Parts of URLs.
---@class urllib
url = {}

---Encodes a text as a part of a URL: everything but letters, digits and `-_.~` is percent-encoded.
---@param text string
---@return string
function url.encode(text) end

---Decodes what is percent-encoded in a text. A plus sign stays as it is; a `%` without two hexadecimal digits raises.
---@param text string
---@return string
function url.decode(text) end

---Writes a query from a table, sorted by name. A list stands for its name several times.
---@param parameters table<string, string|number|boolean|(string|number|boolean)[]>
---@return string
function url.query(parameters) end

---Comma-separated values.
---@class csvlib
csv = {}

---@class csv.options
---@field header? boolean Whether the first line names the columns (default: true).
---@field separator? string What stands between cells (default: a comma).

---Reads comma-separated values: a list of tables by the names in the first line, or, without a header, of lists of cells.
---Cells are strings. What is no such text raises, with the line.
---@param text string
---@param options? csv.options
---@return table[]
function csv.parse(text, options) end

---@class csv.writing
---@field header? boolean|string[] The columns and their order, or false for no line of names (default: all, sorted).
---@field separator? string What stands between cells (default: a comma).

---Writes comma-separated values: of a list of tables by name, with a line of names before it, or of a list of lists.
---@param rows table[]
---@param options? csv.writing
---@return string
function csv.format(rows, options) end
