-- A PUT of one classroom row; with an argument, under the precondition that the row exists.
init = function(args)
  wrk.method = "PUT"
  wrk.headers["Content-Type"] = "application/json"
  if args[1] then wrk.headers["If-Match"] = args[1] end
  wrk.body = '{"type":"snail","age":"1","leg":"0"}'
end
