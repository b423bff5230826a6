"""Attention by layers and by hand."""

import keras
from keras import layers, ops

from architectures.parts import UNITS, embed_source, embed_target, head, source_ids, target_ids


def attended(attend, size=UNITS):
    source, target = source_ids(), target_ids()
    memory, state = layers.GRU(size, return_sequences=True, return_state=True)(embed_source(source))
    y = layers.GRU(size, return_sequences=True)(embed_target(target), initial_state=state)
    y = layers.Concatenate()([y, attend(y, memory)])
    return keras.Model([source, target], head(layers.Dense(9, activation="tanh")(y)))


def attention_dot():
    """Attention"""
    return attended(lambda y, memory: layers.Attention()([y, memory]))


def attention_scaled():
    """Attention(use_scale=True)."""
    return attended(lambda y, memory: layers.Attention(use_scale=True)([y, memory]))


def attention_concat():
    """Attention(score_mode="concat") with a key of its own."""
    return attended(
        lambda y, memory: layers.Attention(score_mode="concat", use_scale=True)(
            [y, memory, layers.Dense(UNITS)(memory)]
        )
    )


def attention_additive():
    """AdditiveAttention, with scale."""
    return attended(lambda y, memory: layers.AdditiveAttention()([y, memory]))


def attention_additive_unscaled():
    """AdditiveAttention(use_scale=False)."""
    return attended(lambda y, memory: layers.AdditiveAttention(use_scale=False)([y, memory]))


def attention_with_scores():
    """Attention whose weights are a second output of the model."""
    source, target = source_ids(), target_ids()
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    context, weights = layers.Attention()([y, memory], return_attention_scores=True)
    return keras.Model([source, target], [head(layers.Concatenate()([y, context])), weights])


def attention_multi_head():
    """MultiHeadAttention over encoder outputs."""
    return attended(layers.MultiHeadAttention(2, 4))


def attention_multi_head_twice():
    """Two MultiHeadAttention layers over the same masked memory."""
    return attended(
        lambda y, memory: layers.MultiHeadAttention(2, 4)(layers.MultiHeadAttention(2, 4)(y, memory), memory)
    )


def attention_grouped():
    """GroupQueryAttention over encoder outputs."""
    return attended(layers.GroupQueryAttention(4, 4, 2))


def attention_by_hand():
    """Attention from Dot, Softmax and Dot."""
    source, target = source_ids(), target_ids()
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source, False))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    weights = layers.Activation("softmax")(layers.Dot(axes=[2, 2])([y, memory]))
    context = layers.Dot(axes=[2, 1])([weights, memory])
    return keras.Model([source, target], head(layers.Concatenate()([context, y])))


def attention_by_hand_masked():
    """Luong's general attention from Dense, Dot and Softmax with the source's mask."""
    source, target = source_ids(), target_ids()
    real = ops.not_equal(source, 0)
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    scores = layers.Dot(axes=[2, 2])([layers.Dense(UNITS, use_bias=False)(y), memory])
    weights = layers.Softmax()(scores, mask=ops.expand_dims(real, 1))
    context = layers.Dot(axes=[2, 1])([weights, memory])
    return keras.Model([source, target], head(layers.Concatenate()([context, y])))


def attention_by_hand_additive():
    """Bahdanau's additive attention from Dense and keras.ops, softmax over axis 2 of (batch, target, source, 1)."""
    source, target = source_ids(), target_ids()
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source, False))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    mixed = ops.tanh(ops.expand_dims(layers.Dense(5)(y), 2) + ops.expand_dims(layers.Dense(5)(memory), 1))
    weights = ops.softmax(layers.Dense(1)(mixed), axis=2)
    context = ops.sum(weights * ops.expand_dims(memory, 1), axis=2)
    return keras.Model([source, target], head(layers.Concatenate()([y, context])))


MODELS = (
    attention_dot,
    attention_scaled,
    attention_concat,
    attention_additive,
    attention_additive_unscaled,
    attention_with_scores,
    attention_multi_head,
    attention_multi_head_twice,
    attention_grouped,
    attention_by_hand,
    attention_by_hand_masked,
    attention_by_hand_additive,
)
