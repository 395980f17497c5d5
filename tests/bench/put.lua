-- PUTs of one classroom row, each another value, so that a store has something to write;
-- with an argument, under that precondition.
init = function(args)
  local headers = { ["Content-Type"] = "application/json" }
  if args[1] then headers["If-Match"] = args[1] end
  requests = {}
  for i = 1, 1000 do
    local body = string.format('{"type":"snail","age":"%d","leg":"0"}', 1000 + i % 1000)
    requests[i] = wrk.format("PUT", nil, headers, body)
  end
  turn = 0
end
request = function()
  turn = turn % 1000 + 1
  return requests[turn]
end
