"""The agent over HTTP.

`connection`    one connection: limits, and what is no HTTP        `guard`     who may ask
`infer`         POST /infer; beside it `negotiation` (which form), `tensors` (the forms)
`management`    every other route; beside it `overview` (what the agent says of itself)
`body`          a request's body, within limits                    `errors`    error class -> status
"""
