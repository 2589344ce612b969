"""Other clients than editors: llama.cpp's and OpenAI's requests for completions, over HTTP on this machine."""
