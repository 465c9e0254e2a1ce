"""What people call the architectures."""

from __future__ import annotations

NAMES = {
    "majority": "Always the commonest label",
    "keyword": "Keyword rules",
    "tfidf": "TF-IDF + linear model",
    "boosted": "Gradient-boosted trees",
    "static": "Static word embeddings",
    "pool": "TF-IDF and static, pooled",
    "neighbours": "Nearest neighbours, frozen encoder",
    "probe": "Logistic regression, frozen encoder",
    "endpoint": "Large model, by endpoint",
    "lora": "LoRA fine-tuned encoder and TF-IDF",
    "network": "LoRA fine-tuned encoder alone",
    "ensemble": "all seeds together",
}
