-- Requests for 200 rows in turn: GET or PUT, how many at a time on a connection, and an If-Match that each PUT has.
init = function(args)
  local method, together, condition = args[1], tonumber(args[2]), args[3]
  local headers = { ["Content-Type"] = "application/json", ["If-Match"] = condition }
  requests = {}
  for i = 0, 999 do
    local batch = {}
    for j = 0, together - 1 do
      local name = "Pingping" .. (i * together + j) % 200
      -- Each time another value, so that a store has something to write.
      local body = string.format('{"%s":{"type":"snail","age":"%d","leg":"0"}}', name, 1000 + i)
      batch[j + 1] = method == "PUT" and wrk.format("PUT", "/" .. name, headers, body) or wrk.format("GET", "/" .. name)
    end
    requests[i + 1] = table.concat(batch)
  end
  turn = 0
end
request = function()
  turn = turn % 1000 + 1
  return requests[turn]
end
