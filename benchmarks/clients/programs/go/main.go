package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		panic(err)
	}
	client := openai.NewClient(option.WithBaseURL(os.Args[1]+"/v1"), option.WithAPIKey("none"))
	answer, err := client.Embeddings.New(context.Background(), openai.EmbeddingNewParams{
		Model: os.Args[2],
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: texts},
	})
	if err != nil {
		panic(err)
	}
	var vectors [][]float64
	for _, entry := range answer.Data {
		vectors = append(vectors, entry.Embedding)
	}
	line, _ := json.Marshal(vectors)
	fmt.Println(string(line))
}
