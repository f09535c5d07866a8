"""A chat model that writes: any endpoint that speaks OpenAI's `/chat/completions`. Knows no database."""
