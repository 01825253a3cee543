"""The packages of clients that are asked for both vectors and texts, as pip and npm take them."""

OPENAI = "openai==3.57.0"
HUGGINGFACE_HUB = "huggingface-hub==2.4.0"
LANGCHAIN = "langchain-openai==1.7.4"
LITELLM = "litellm==1.110.2"
HAYSTACK = "haystack-ai==3.4.1"

OPENAI_JS = "openai@7.59.0"
AI_SDK, AI_SDK_OPENAI, AI_SDK_COMPATIBLE = "ai@7.0.173", "@ai-sdk/openai@4.0.118", "@ai-sdk/openai-compatible@3.0.92"
LANGCHAIN_JS = ("@langchain/openai@1.6.0", "@langchain/core@1.4.0")
HUGGINGFACE_JS = "@huggingface/inference@4.13.30"

# Of the pom.xml.
OPENAI_JAVA = "openai-java@4.101.0"
LANGCHAIN4J = "langchain4j-open-ai@1.19.0"
